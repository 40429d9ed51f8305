WITH "history" AS (
  SELECT
    "customer_orders"."customer_id",
    "customer_orders"."ordered_at" AT TIME ZONE 'UTC' AS "event_timestamp",
    "customer_orders"."loaded_at" AT TIME ZONE 'UTC' AS "created_timestamp",
    "customer_orders"."ordered_at" AT TIME ZONE 'UTC' + INTERVAL '1 HOUR' AS "known_at",
    "customer_orders"."orders_7d",
    "customer_orders"."amount_7d",
    CAST("customer_orders"."basket" AS TEXT[]) AS "basket"
  FROM "shop"."features"."customer_orders"
  WHERE
    NOT "customer_orders"."customer_id" IS NULL AND NOT "customer_orders"."ordered_at" IS NULL
)
SELECT
  MAX(CASE WHEN "known_at" <= CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) THEN "event_timestamp" END) AS "event_timestamp",
  MIN(CASE WHEN "known_at" > CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) THEN "known_at" END) AS "next_change",
  MAX("created_timestamp") AS "created_timestamp",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN TRUE
        THEN CAST(HASHTEXTEXTENDED(
          CAST(ROW("customer_id", "event_timestamp", "created_timestamp", "orders_7d", "amount_7d", "basket") AS TEXT),
          0
        ) AS DECIMAL)
      END
    ),
    0
  ) AS TEXT) AS "digest",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN (
          "created_timestamp" IS NULL OR "created_timestamp" <= CAST('2024-02-29 12:30:00.000000' AS TIMESTAMP)
        )
        THEN CAST(HASHTEXTEXTENDED(
          CAST(ROW("customer_id", "event_timestamp", "created_timestamp", "orders_7d", "amount_7d", "basket") AS TEXT),
          0
        ) AS DECIMAL)
      END
    ),
    0
  ) AS TEXT) AS "digest_then"
FROM "history"
