WITH `spine` AS (
  SELECT
    MONOTONICALLY_INCREASING_ID() AS `row_number`,
    `customer_id`,
    `shop`,
    `event_timestamp`,
    `label`
  FROM `shop`.`ml`.`labels`
), `asked` AS (
  SELECT
    `row_number`,
    CAST(`event_timestamp` AS TIMESTAMP) AS `asked_at`,
    `customer_id`,
    CAST(`shop` AS STRING) AS `shop`
  FROM `spine`
), `customer_orders_keys` AS (
  SELECT DISTINCT
    `customer_id`
  FROM `asked`
), `customer_orders_known` AS (
  SELECT
    `customer_orders`.`customer_id`,
    CAST(`customer_orders`.`ordered_at` AS TIMESTAMP) AS `event_timestamp`,
    CAST(`customer_orders`.`ordered_at` AS TIMESTAMP) + INTERVAL '1' HOUR AS `known_at`
  FROM `shop`.`features`.`customer_orders`
  INNER JOIN `customer_orders_keys`
    ON `customer_orders_keys`.`customer_id` = `customer_orders`.`customer_id`
  WHERE
    NOT `customer_orders`.`customer_id` IS NULL AND NOT `customer_orders`.`ordered_at` IS NULL
), `customer_orders_timeline` AS (
  SELECT
    `customer_id`,
    `known_at` AS `asked_at`,
    `event_timestamp`,
    CAST(NULL AS BIGINT) AS `row_number`
  FROM `customer_orders_known`
  UNION ALL
  SELECT
    `customer_id`,
    `asked_at`,
    CAST(NULL AS TIMESTAMP),
    `row_number`
  FROM `asked`
), `customer_orders_seen` AS (
  SELECT
    `row_number`,
    `asked_at`,
    `customer_id`,
    MAX(`event_timestamp`) OVER (
      PARTITION BY `customer_id`
      ORDER BY `asked_at` ASC, `row_number` ASC
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `event_timestamp`
  FROM `customer_orders_timeline`
), `customer_orders_matched` AS (
  SELECT
    `row_number`,
    `asked_at`,
    `customer_id`,
    `event_timestamp`
  FROM `customer_orders_seen`
  WHERE
    NOT `row_number` IS NULL
    AND NOT `event_timestamp` IS NULL
    AND `customer_orders_seen`.`event_timestamp` >= `customer_orders_seen`.`asked_at` - INTERVAL '7' DAY
), `customer_orders_rivals` AS (
  SELECT
    `customer_orders`.`customer_id`,
    CAST(`customer_orders`.`ordered_at` AS TIMESTAMP) AS `event_timestamp`,
    CAST(`customer_orders`.`loaded_at` AS TIMESTAMP) AS `created_timestamp`,
    `customer_orders`.`orders_7d`,
    `customer_orders`.`amount_7d`,
    `customer_orders`.`basket`
  FROM `shop`.`features`.`customer_orders`
  WHERE
    NOT `customer_orders`.`customer_id` IS NULL AND NOT `customer_orders`.`ordered_at` IS NULL
), `customer_orders_ranked` AS (
  SELECT
    `customer_orders_matched`.`row_number`,
    `customer_orders_rivals`.`orders_7d`,
    `customer_orders_rivals`.`amount_7d`,
    ROW_NUMBER() OVER (
      PARTITION BY `customer_orders_matched`.`row_number`
      ORDER BY `customer_orders_rivals`.`created_timestamp` DESC, `customer_orders_rivals`.`orders_7d` DESC, `customer_orders_rivals`.`amount_7d` DESC, TO_JSON(`customer_orders_rivals`.`basket`) DESC
    ) AS `place`
  FROM `customer_orders_matched`
  INNER JOIN `customer_orders_rivals`
    ON `customer_orders_matched`.`customer_id` = `customer_orders_rivals`.`customer_id`
    AND `customer_orders_matched`.`event_timestamp` = `customer_orders_rivals`.`event_timestamp`
), `customer_orders_values` AS (
  SELECT
    `row_number`,
    `orders_7d`,
    `amount_7d`
  FROM `customer_orders_ranked`
  WHERE
    `place` = 1
), `shop_visits_keys` AS (
  SELECT DISTINCT
    `customer_id`,
    `shop`
  FROM `asked`
), `shop_visits_rows` AS (
  SELECT
    `shop_visits`.`customer_id`,
    CAST(`shop_visits`.`shop` AS STRING) AS `shop`,
    CAST(`shop_visits`.`visited_at` AS TIMESTAMP) AS `event_timestamp`,
    CAST(`shop_visits`.`loaded_at` AS TIMESTAMP) AS `created_timestamp`,
    CASE
      WHEN CAST(`shop_visits`.`loaded_at` AS TIMESTAMP) > CAST(`shop_visits`.`visited_at` AS TIMESTAMP)
      THEN CAST(`shop_visits`.`loaded_at` AS TIMESTAMP)
      ELSE CAST(`shop_visits`.`visited_at` AS TIMESTAMP)
    END AS `known_at`
  FROM `shop`.`features`.`shop_visits`
  INNER JOIN `shop_visits_keys`
    ON `shop_visits_keys`.`customer_id` = `shop_visits`.`customer_id`
    AND `shop_visits_keys`.`shop` = CAST(`shop_visits`.`shop` AS STRING)
  WHERE
    NOT `shop_visits`.`customer_id` IS NULL
    AND NOT `shop_visits`.`shop` IS NULL
    AND NOT `shop_visits`.`visited_at` IS NULL
), `shop_visits_numbered` AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY `customer_id`, `shop` ORDER BY `event_timestamp` ASC, `created_timestamp` ASC) AS `version`
  FROM `shop_visits_rows`
), `shop_visits_newest` AS (
  SELECT
    *,
    MAX(`version`) OVER (
      PARTITION BY `customer_id`, `shop`
      ORDER BY `known_at` ASC, `version` DESC
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `newest_version`
  FROM `shop_visits_numbered`
), `shop_visits_known` AS (
  SELECT
    `customer_id`,
    `shop`,
    `event_timestamp`,
    `created_timestamp`,
    `known_at`,
    `version`
  FROM `shop_visits_newest`
  WHERE
    `version` = `newest_version`
), `shop_visits_timeline` AS (
  SELECT
    `customer_id`,
    `shop`,
    `known_at` AS `asked_at`,
    `version`,
    CAST(NULL AS BIGINT) AS `row_number`
  FROM `shop_visits_known`
  UNION ALL
  SELECT
    `customer_id`,
    `shop`,
    `asked_at`,
    CAST(NULL AS BIGINT),
    `row_number`
  FROM `asked`
), `shop_visits_seen` AS (
  SELECT
    `row_number`,
    `asked_at`,
    `customer_id`,
    `shop`,
    MAX(`version`) OVER (
      PARTITION BY `customer_id`, `shop`
      ORDER BY `asked_at` ASC, `row_number` ASC
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `version`
  FROM `shop_visits_timeline`
), `shop_visits_matched` AS (
  SELECT
    `shop_visits_seen`.`row_number`,
    `shop_visits_seen`.`asked_at`,
    `shop_visits_seen`.`customer_id`,
    `shop_visits_seen`.`shop`,
    `shop_visits_known`.`event_timestamp`,
    `shop_visits_known`.`created_timestamp`
  FROM `shop_visits_seen`
  INNER JOIN `shop_visits_known`
    ON `shop_visits_seen`.`customer_id` = `shop_visits_known`.`customer_id`
    AND `shop_visits_seen`.`shop` = `shop_visits_known`.`shop`
    AND `shop_visits_seen`.`version` = `shop_visits_known`.`version`
  WHERE
    NOT `shop_visits_seen`.`row_number` IS NULL
), `shop_visits_rivals` AS (
  SELECT
    `shop_visits`.`customer_id`,
    CAST(`shop_visits`.`shop` AS STRING) AS `shop`,
    CAST(`shop_visits`.`visited_at` AS TIMESTAMP) AS `event_timestamp`,
    CAST(`shop_visits`.`loaded_at` AS TIMESTAMP) AS `created_timestamp`,
    `shop_visits`.`visits`
  FROM `shop`.`features`.`shop_visits`
  WHERE
    NOT `shop_visits`.`customer_id` IS NULL
    AND NOT `shop_visits`.`shop` IS NULL
    AND NOT `shop_visits`.`visited_at` IS NULL
), `shop_visits_ranked` AS (
  SELECT
    `shop_visits_matched`.`row_number`,
    `shop_visits_rivals`.`visits`,
    ROW_NUMBER() OVER (
      PARTITION BY `shop_visits_matched`.`row_number`
      ORDER BY `shop_visits_rivals`.`created_timestamp` DESC, `shop_visits_rivals`.`visits` DESC
    ) AS `place`
  FROM `shop_visits_matched`
  INNER JOIN `shop_visits_rivals`
    ON `shop_visits_matched`.`customer_id` = `shop_visits_rivals`.`customer_id`
    AND `shop_visits_matched`.`shop` = `shop_visits_rivals`.`shop`
    AND `shop_visits_matched`.`event_timestamp` = `shop_visits_rivals`.`event_timestamp`
    AND `shop_visits_matched`.`created_timestamp` IS NOT DISTINCT FROM `shop_visits_rivals`.`created_timestamp`
), `shop_visits_values` AS (
  SELECT
    `row_number`,
    `visits`
  FROM `shop_visits_ranked`
  WHERE
    `place` = 1
)
SELECT
  `spine`.`customer_id`,
  `spine`.`shop`,
  `spine`.`event_timestamp`,
  `spine`.`label`,
  `customer_orders_values`.`orders_7d`,
  `customer_orders_values`.`amount_7d`,
  `shop_visits_values`.`visits`
FROM `spine`
LEFT JOIN `customer_orders_values`
  ON `customer_orders_values`.`row_number` = `spine`.`row_number`
LEFT JOIN `shop_visits_values`
  ON `shop_visits_values`.`row_number` = `spine`.`row_number`
ORDER BY
  `spine`.`row_number` ASC
