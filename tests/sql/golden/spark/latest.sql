WITH `rivals` AS (
  SELECT
    `customer_orders`.`customer_id`,
    CAST(`customer_orders`.`ordered_at` AS TIMESTAMP) AS `event_timestamp`,
    CAST(`customer_orders`.`loaded_at` AS TIMESTAMP) AS `created_timestamp`,
    `customer_orders`.`orders_7d`,
    `customer_orders`.`amount_7d`,
    `customer_orders`.`basket`
  FROM `shop`.`features`.`customer_orders`
  WHERE
    (
      NOT `customer_orders`.`customer_id` IS NULL AND NOT `customer_orders`.`ordered_at` IS NULL
    )
    AND CAST(`customer_orders`.`ordered_at` AS TIMESTAMP) <= CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) - INTERVAL '1' HOUR
), `ranked` AS (
  SELECT
    `rivals`.`customer_id`,
    `rivals`.`event_timestamp`,
    CAST(NULL AS TIMESTAMP) AS `valid_to`,
    `rivals`.`orders_7d`,
    `rivals`.`amount_7d`,
    `rivals`.`basket`,
    ROW_NUMBER() OVER (
      PARTITION BY `rivals`.`customer_id`
      ORDER BY `rivals`.`event_timestamp` DESC, `rivals`.`created_timestamp` DESC, `rivals`.`orders_7d` DESC, `rivals`.`amount_7d` DESC, TO_JSON(`rivals`.`basket`) DESC
    ) AS `place`
  FROM `rivals`
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
