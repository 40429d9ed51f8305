WITH `changed` AS (
  SELECT DISTINCT
    `customer_id`
  FROM (
    SELECT
      `customer_orders`.`customer_id`,
      CAST(`customer_orders`.`ordered_at` AS DATETIME) AS `event_timestamp`,
      CAST(`customer_orders`.`loaded_at` AS DATETIME) AS `created_timestamp`,
      CAST(`customer_orders`.`ordered_at` AS DATETIME) + INTERVAL '1' HOUR AS `known_at`
    FROM `shop`.`features`.`customer_orders`
    WHERE
      NOT `customer_orders`.`customer_id` IS NULL AND NOT `customer_orders`.`ordered_at` IS NULL
  ) AS `rows`
  WHERE
    `created_timestamp` >= CAST('2024-02-29 12:30:00.000000' AS DATETIME)
    OR `known_at` > CAST('2024-02-29 12:30:00.000000' AS DATETIME)
), `known` AS (
  SELECT
    `customer_orders`.`customer_id`,
    CAST(`customer_orders`.`ordered_at` AS DATETIME) AS `event_timestamp`
  FROM `shop`.`features`.`customer_orders`
  INNER JOIN `changed`
    ON `changed`.`customer_id` = `customer_orders`.`customer_id`
  WHERE
    (
      NOT `customer_orders`.`customer_id` IS NULL AND NOT `customer_orders`.`ordered_at` IS NULL
    )
    AND CAST(`customer_orders`.`ordered_at` AS DATETIME) <= CAST('2024-03-01 12:30:00.000000' AS DATETIME) - INTERVAL '1' HOUR
), `newest` AS (
  SELECT
    `customer_id`,
    MAX(`event_timestamp`) AS `event_timestamp`
  FROM `known`
  GROUP BY
    `customer_id`
), `history` AS (
  SELECT
    `customer_orders`.`customer_id`,
    CAST(`customer_orders`.`ordered_at` AS DATETIME) AS `event_timestamp`,
    CAST(`customer_orders`.`loaded_at` AS DATETIME) AS `created_timestamp`,
    `customer_orders`.`orders_7d`,
    `customer_orders`.`amount_7d`,
    `customer_orders`.`basket`
  FROM `shop`.`features`.`customer_orders`
  WHERE
    (
      NOT `customer_orders`.`customer_id` IS NULL AND NOT `customer_orders`.`ordered_at` IS NULL
    )
    AND CAST(`customer_orders`.`ordered_at` AS DATETIME) <= CAST('2024-03-01 12:30:00.000000' AS DATETIME) - INTERVAL '1' HOUR
), `ranked` AS (
  SELECT
    `history`.`customer_id`,
    `history`.`event_timestamp`,
    CAST(NULL AS DATETIME) AS `valid_to`,
    `history`.`orders_7d`,
    `history`.`amount_7d`,
    `history`.`basket`,
    ROW_NUMBER() OVER (
      PARTITION BY `newest`.`customer_id`
      ORDER BY `history`.`created_timestamp` DESC, `history`.`orders_7d` DESC, `history`.`amount_7d` DESC, CAST(`history`.`basket` AS STRING) DESC
    ) AS `place`
  FROM `newest`
  INNER JOIN `history`
    ON `newest`.`customer_id` = `history`.`customer_id`
    AND `newest`.`event_timestamp` = `history`.`event_timestamp`
)
SELECT
  `customer_id`,
  `event_timestamp`,
  `valid_to`,
  `orders_7d`,
  `amount_7d`,
  `basket`
FROM `ranked`
WHERE
  `place` = 1
