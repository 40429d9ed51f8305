WITH `history` AS (
  SELECT
    `customer_orders`.`customer_id`,
    CAST(`customer_orders`.`ordered_at` AS TIMESTAMP) AS `event_timestamp`,
    CAST(`customer_orders`.`loaded_at` AS TIMESTAMP) AS `created_timestamp`,
    CAST(`customer_orders`.`ordered_at` AS TIMESTAMP) + INTERVAL '1' HOUR AS `known_at`
  FROM `shop`.`features`.`customer_orders`
  WHERE
    NOT `customer_orders`.`customer_id` IS NULL AND NOT `customer_orders`.`ordered_at` IS NULL
)
SELECT
  MAX(CASE WHEN `known_at` <= CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) THEN `event_timestamp` END) AS `event_timestamp`,
  MIN(CASE WHEN `known_at` > CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) THEN `known_at` END) AS `next_change`,
  MAX(`created_timestamp`) AS `created_timestamp`,
  CAST(NULL AS STRING) AS `digest`,
  CAST(NULL AS STRING) AS `digest_then`
FROM `history`
