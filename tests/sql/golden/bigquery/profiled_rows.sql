SELECT
  CAST(`orders_7d` AS FLOAT64) AS `f0`,
  CAST(`amount_7d` AS FLOAT64) AS `f1`,
  CASE WHEN NOT `basket` IS NULL THEN CAST(1 AS FLOAT64) END AS `f2`
FROM (
  SELECT
    `customer_orders`.`customer_id`,
    DATETIME(`customer_orders`.`ordered_at`, 'UTC') AS `event_timestamp`,
    `customer_orders`.`orders_7d`,
    `customer_orders`.`amount_7d`,
    `customer_orders`.`basket`
  FROM `shop`.`features`.`customer_orders`
  WHERE
    NOT `customer_orders`.`customer_id` IS NULL AND NOT `customer_orders`.`ordered_at` IS NULL
) AS `history`
WHERE
  `event_timestamp` >= CAST('2024-01-31 12:30:00.000000' AS DATETIME)
  AND `event_timestamp` < CAST('2024-03-01 12:30:00.000000' AS DATETIME)
