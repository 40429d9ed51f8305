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
), "history" AS (
  SELECT
    "customer_orders"."customer_id",
    "customer_orders"."ordered_at" AT TIME ZONE 'UTC' AS "event_timestamp",
    "customer_orders"."loaded_at" AT TIME ZONE 'UTC' AS "created_timestamp",
    "customer_orders"."orders_7d",
    "customer_orders"."amount_7d",
    CAST("customer_orders"."basket" AS TEXT[]) AS "basket"
  FROM "shop"."features"."customer_orders"
  WHERE
    (
      NOT "customer_orders"."customer_id" IS NULL AND NOT "customer_orders"."ordered_at" IS NULL
    )
    AND "customer_orders"."ordered_at" AT TIME ZONE 'UTC' <= CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) - INTERVAL '1 HOUR'
), "tied" AS (
  SELECT
    "newest"."customer_id"
  FROM "newest"
  INNER JOIN "known"
    ON "newest"."customer_id" = "known"."customer_id"
    AND "newest"."event_timestamp" = "known"."event_timestamp"
  GROUP BY
    "newest"."customer_id"
  HAVING
    COUNT(*) > 1
), "rivals" AS (
  SELECT
    "customer_orders"."customer_id",
    "customer_orders"."ordered_at" AT TIME ZONE 'UTC' AS "event_timestamp",
    "customer_orders"."loaded_at" AT TIME ZONE 'UTC' AS "created_timestamp",
    "customer_orders"."orders_7d",
    "customer_orders"."amount_7d",
    CAST("customer_orders"."basket" AS TEXT[]) AS "basket"
  FROM "shop"."features"."customer_orders"
  WHERE
    (
      NOT "customer_orders"."customer_id" IS NULL AND NOT "customer_orders"."ordered_at" IS NULL
    )
    AND "customer_orders"."ordered_at" AT TIME ZONE 'UTC' <= CAST('2024-03-01 12:30:00.000000' AS TIMESTAMP) - INTERVAL '1 HOUR'
), "ranked" AS (
  SELECT
    "rivals"."customer_id",
    "rivals"."event_timestamp",
    CAST(NULL AS TIMESTAMP) AS "valid_to",
    "rivals"."orders_7d",
    "rivals"."amount_7d",
    "rivals"."basket",
    ROW_NUMBER() OVER (
      PARTITION BY "rivals"."customer_id"
      ORDER BY "rivals"."created_timestamp" DESC NULLS LAST, "rivals"."orders_7d" DESC NULLS LAST, "rivals"."amount_7d" DESC NULLS LAST, "rivals"."basket" COLLATE "C" DESC NULLS LAST
    ) AS "place"
  FROM "newest"
  INNER JOIN "rivals"
    ON "newest"."customer_id" = "rivals"."customer_id"
    AND "newest"."event_timestamp" = "rivals"."event_timestamp"
  INNER JOIN "tied"
    ON "tied"."customer_id" = "newest"."customer_id"
)
SELECT
  "history"."customer_id",
  "history"."event_timestamp",
  CAST(NULL AS TIMESTAMP) AS "valid_to",
  "history"."orders_7d",
  "history"."amount_7d",
  "history"."basket"
FROM "newest"
INNER JOIN "history"
  ON "newest"."customer_id" = "history"."customer_id"
  AND "newest"."event_timestamp" = "history"."event_timestamp"
WHERE
  NOT EXISTS(
    SELECT
      1
    FROM "tied"
    WHERE
      "tied"."customer_id" = "history"."customer_id"
  )
UNION ALL
SELECT
  "customer_id",
  "event_timestamp",
  "valid_to",
  "orders_7d",
  "amount_7d",
  "basket"
FROM "ranked"
WHERE
  "place" = 1
