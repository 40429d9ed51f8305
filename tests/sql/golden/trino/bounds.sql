WITH "history" AS (
  SELECT
    "customer_orders"."customer_id",
    CAST(AT_TIMEZONE("customer_orders"."ordered_at", 'UTC') AS TIMESTAMP(6)) AS "event_timestamp",
    CAST(AT_TIMEZONE("customer_orders"."loaded_at", 'UTC') AS TIMESTAMP(6)) AS "created_timestamp",
    CAST(AT_TIMEZONE("customer_orders"."ordered_at", 'UTC') AS TIMESTAMP(6)) + INTERVAL '1' HOUR AS "known_at"
  FROM "shop"."features"."customer_orders"
  WHERE
    NOT "customer_orders"."customer_id" IS NULL AND NOT "customer_orders"."ordered_at" IS NULL
)
SELECT
  MAX(
    CASE WHEN "known_at" <= CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP(6)) THEN "event_timestamp" END
  ) AS "event_timestamp",
  MIN(CASE WHEN "known_at" > CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP(6)) THEN "known_at" END) AS "next_change",
  MAX("created_timestamp") AS "created_timestamp",
  CAST(NULL AS VARCHAR) AS "digest",
  CAST(NULL AS VARCHAR) AS "digest_then"
FROM "history"
