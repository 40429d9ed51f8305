WITH "history" AS (
  SELECT
    "customer_orders"."customer_id" AS "customer_id",
    CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("customer_orders"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) AS "created_timestamp",
    CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) + INTERVAL '1' HOUR AS "known_at",
    "customer_orders"."orders_7d" AS "orders_7d",
    "customer_orders"."amount_7d" AS "amount_7d",
    "customer_orders"."basket" AS "basket"
  FROM "shop"."features"."customer_orders"
  WHERE
    NOT (
      "customer_orders"."customer_id" IS NULL
    )
    AND NOT (
      "customer_orders"."ordered_at" IS NULL
    )
)
SELECT
  MAX(
    CASE
      WHEN "known_at" <= CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
      THEN "event_timestamp"
    END
  ) AS "event_timestamp",
  MIN(
    CASE
      WHEN "known_at" > CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
      THEN "known_at"
    END
  ) AS "next_change",
  MAX("created_timestamp") AS "created_timestamp",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN TRUE
        THEN CAST(sipHash64(tuple("customer_id", "event_timestamp", "created_timestamp", "orders_7d", "amount_7d", "basket")) AS Nullable(Int128))
      END
    ),
    0
  ) AS Nullable(String)) AS "digest",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN (
          "created_timestamp" IS NULL
          OR "created_timestamp" <= CAST('2024-02-29 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
        )
        THEN CAST(sipHash64(tuple("customer_id", "event_timestamp", "created_timestamp", "orders_7d", "amount_7d", "basket")) AS Nullable(Int128))
      END
    ),
    0
  ) AS Nullable(String)) AS "digest_then"
FROM "history"
