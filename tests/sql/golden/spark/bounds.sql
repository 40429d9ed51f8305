WITH `history` AS (
  SELECT
    `customer_orders`.`customer_id`,
    CAST(`customer_orders`.`ordered_at` AS TIMESTAMP) AS `event_timestamp`,
    CAST(`customer_orders`.`loaded_at` AS TIMESTAMP) AS `created_timestamp`,
    CAST(`customer_orders`.`ordered_at` AS TIMESTAMP) + INTERVAL '1' HOUR AS `known_at`,
    `customer_orders`.`orders_7d`,
    `customer_orders`.`amount_7d`,
    `customer_orders`.`basket`
  FROM `shop`.`features`.`customer_orders`
  WHERE
    NOT `customer_orders`.`customer_id` IS NULL AND NOT `customer_orders`.`ordered_at` IS NULL
)
SELECT
  MAX(CASE WHEN `known_at` <= CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) THEN `event_timestamp` END) AS `event_timestamp`,
  MIN(CASE WHEN `known_at` > CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) THEN `known_at` END) AS `next_change`,
  MAX(`created_timestamp`) AS `created_timestamp`,
  CAST(COALESCE(
    SUM(
      CASE
        WHEN TRUE
        THEN CAST(XXHASH64(
          `customer_id`,
          `customer_id` IS NULL,
          `event_timestamp`,
          `event_timestamp` IS NULL,
          `created_timestamp`,
          `created_timestamp` IS NULL,
          `orders_7d`,
          `orders_7d` IS NULL,
          `amount_7d`,
          `amount_7d` IS NULL,
          TO_JSON(`basket`),
          TO_JSON(`basket`) IS NULL
        ) AS DECIMAL(38, 0))
      END
    ),
    0
  ) AS STRING) AS `digest`,
  CAST(COALESCE(
    SUM(
      CASE
        WHEN (
          `created_timestamp` IS NULL OR `created_timestamp` <= CAST('2024-02-29 12:30:00.000000' AS TIMESTAMP)
        )
        THEN CAST(XXHASH64(
          `customer_id`,
          `customer_id` IS NULL,
          `event_timestamp`,
          `event_timestamp` IS NULL,
          `created_timestamp`,
          `created_timestamp` IS NULL,
          `orders_7d`,
          `orders_7d` IS NULL,
          `amount_7d`,
          `amount_7d` IS NULL,
          TO_JSON(`basket`),
          TO_JSON(`basket`) IS NULL
        ) AS DECIMAL(38, 0))
      END
    ),
    0
  ) AS STRING) AS `digest_then`
FROM `history`
