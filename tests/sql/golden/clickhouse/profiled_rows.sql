SELECT
  CAST("orders_7d" AS Nullable(Float64)) AS "f0",
  CAST("amount_7d" AS Nullable(Float64)) AS "f1",
  CASE WHEN NOT (
    "basket" IS NULL
  ) THEN CAST(1 AS Nullable(Float64)) END AS "f2"
FROM (
  SELECT
    "customer_orders"."customer_id" AS "customer_id",
    CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
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
) AS "history"
WHERE
  "event_timestamp" >= CAST('2024-01-31 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
  AND "event_timestamp" < CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
