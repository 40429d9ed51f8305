WITH "known" AS (
  SELECT
    "customer_orders"."customer_id",
    "customer_orders"."ordered_at" AT TIME ZONE 'UTC' AS "event_timestamp"
  FROM "shop"."features"."customer_orders"
  WHERE
    (
      NOT "customer_orders"."customer_id" IS NULL AND NOT "customer_orders"."ordered_at" IS NULL
    )
    AND "customer_orders"."ordered_at" AT TIME ZONE 'UTC' <= CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) - INTERVAL '1 HOUR'
), "newest" AS (
  SELECT
    "customer_id",
    MAX("event_timestamp") AS "event_timestamp"
  FROM "known"
  GROUP BY
    "customer_id"
)
SELECT
  COUNT(CASE WHEN "event_timestamp" >= CAST('2024-02-29 12:30:00.000000' AS TIMESTAMP) THEN 1 END) AS "entity_keys",
  COUNT(*) AS "entity_keys_then"
FROM "newest"
