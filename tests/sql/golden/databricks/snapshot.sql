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
    `customer_id`
  FROM `spine`
), `customer_profile_known` AS (
  SELECT
    `customer_profile`.`customer_id`,
    CAST(`customer_profile`.`dbt_valid_from` AS TIMESTAMP) AS `event_timestamp`
  FROM `shop`.`snapshots`.`customer_profile`
  WHERE
    (
      NOT `customer_profile`.`customer_id` IS NULL
      AND NOT `customer_profile`.`dbt_valid_from` IS NULL
      AND COALESCE(LOWER(CAST(`customer_profile`.`dbt_is_deleted` AS STRING)), 'false') <> 'true'
    )
    AND (
      CAST(`customer_profile`.`dbt_valid_to` AS TIMESTAMP) IS NULL
      OR CAST(`customer_profile`.`dbt_valid_to` AS TIMESTAMP) > CAST(`customer_profile`.`dbt_valid_from` AS TIMESTAMP)
    )
), `customer_profile_timeline` AS (
  SELECT
    `customer_id`,
    `event_timestamp` AS `asked_at`,
    `event_timestamp`,
    CAST(NULL AS BIGINT) AS `row_number`
  FROM `customer_profile_known`
  UNION ALL
  SELECT
    `customer_id`,
    `asked_at`,
    CAST(NULL AS TIMESTAMP),
    `row_number`
  FROM `asked`
), `customer_profile_seen` AS (
  SELECT
    `row_number`,
    `asked_at`,
    `customer_id`,
    MAX(`event_timestamp`) OVER (
      PARTITION BY `customer_id`
      ORDER BY `asked_at` ASC, `row_number` ASC
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `event_timestamp`
  FROM `customer_profile_timeline`
), `customer_profile_matched` AS (
  SELECT
    `row_number`,
    `asked_at`,
    `customer_id`,
    `event_timestamp`
  FROM `customer_profile_seen`
  WHERE
    NOT `row_number` IS NULL AND NOT `event_timestamp` IS NULL
), `customer_profile_rivals` AS (
  SELECT
    `customer_profile`.`customer_id`,
    CAST(`customer_profile`.`dbt_valid_from` AS TIMESTAMP) AS `event_timestamp`,
    CAST(`customer_profile`.`dbt_valid_to` AS TIMESTAMP) AS `valid_to`,
    `customer_profile`.`city`
  FROM `shop`.`snapshots`.`customer_profile`
  WHERE
    (
      NOT `customer_profile`.`customer_id` IS NULL
      AND NOT `customer_profile`.`dbt_valid_from` IS NULL
      AND COALESCE(LOWER(CAST(`customer_profile`.`dbt_is_deleted` AS STRING)), 'false') <> 'true'
    )
    AND (
      CAST(`customer_profile`.`dbt_valid_to` AS TIMESTAMP) IS NULL
      OR CAST(`customer_profile`.`dbt_valid_to` AS TIMESTAMP) > CAST(`customer_profile`.`dbt_valid_from` AS TIMESTAMP)
    )
), `customer_profile_ranked` AS (
  SELECT
    `customer_profile_matched`.`row_number`,
    `customer_profile_rivals`.`city`,
    ROW_NUMBER() OVER (
      PARTITION BY `customer_profile_matched`.`row_number`
      ORDER BY CAST(`customer_profile_rivals`.`city` AS STRING) DESC, CASE WHEN `customer_profile_rivals`.`valid_to` IS NULL THEN 1 ELSE 0 END DESC, `customer_profile_rivals`.`valid_to` DESC
    ) AS `place`
  FROM `customer_profile_matched`
  INNER JOIN `customer_profile_rivals`
    ON `customer_profile_matched`.`customer_id` = `customer_profile_rivals`.`customer_id`
    AND `customer_profile_matched`.`event_timestamp` = `customer_profile_rivals`.`event_timestamp`
    AND (
      `customer_profile_rivals`.`valid_to` IS NULL
      OR `customer_profile_matched`.`asked_at` < `customer_profile_rivals`.`valid_to`
    )
), `customer_profile_values` AS (
  SELECT
    `row_number`,
    `city`
  FROM `customer_profile_ranked`
  WHERE
    `place` = 1
)
SELECT
  `spine`.`customer_id`,
  `spine`.`shop`,
  `spine`.`event_timestamp`,
  `spine`.`label`,
  `customer_profile_values`.`city`
FROM `spine`
LEFT JOIN `customer_profile_values`
  ON `customer_profile_values`.`row_number` = `spine`.`row_number`
ORDER BY
  `spine`.`row_number` ASC
