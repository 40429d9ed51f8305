WITH "known" AS (
  SELECT
    "customer_orders"."customer_id",
    CAST(AT_TIMEZONE("customer_orders"."ordered_at", 'UTC') AS TIMESTAMP(6)) AS "event_timestamp"
  FROM "shop"."features"."customer_orders"
  WHERE
    (
      NOT "customer_orders"."customer_id" IS NULL AND NOT "customer_orders"."ordered_at" IS NULL
    )
    AND CAST(AT_TIMEZONE("customer_orders"."ordered_at", 'UTC') AS TIMESTAMP(6)) <= CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP(6)) - INTERVAL '1' HOUR
), "newest" AS (
  SELECT
    "customer_id",
    MAX("event_timestamp") AS "event_timestamp"
  FROM "known"
  GROUP BY
    "customer_id"
)
SELECT
  COUNT(CASE WHEN "event_timestamp" >= CAST('2024-02-29 12:30:00.000000' AS TIMESTAMP(6)) THEN 1 END) AS "entity_keys",
  COUNT(*) AS "entity_keys_then"
FROM "newest"
