WITH "changed" AS (
  SELECT DISTINCT
    "customer_id"
  FROM (
    SELECT
      "customer_orders"."customer_id" AS "customer_id",
      CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
      CAST("customer_orders"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) AS "created_timestamp",
      CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) + INTERVAL '1' HOUR AS "known_at"
    FROM "shop"."features"."customer_orders"
    WHERE
      NOT (
        "customer_orders"."customer_id" IS NULL
      )
      AND NOT (
        "customer_orders"."ordered_at" IS NULL
      )
  ) AS "rows"
  WHERE
    "created_timestamp" >= CAST('2024-02-29 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
    OR "known_at" > CAST('2024-02-29 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC')))
), "known" AS (
  SELECT
    "customer_orders"."customer_id" AS "customer_id",
    CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp"
  FROM "shop"."features"."customer_orders"
  INNER JOIN "changed"
    ON "changed"."customer_id" = "customer_orders"."customer_id"
  WHERE
    (
      NOT (
        "customer_orders"."customer_id" IS NULL
      )
      AND NOT (
        "customer_orders"."ordered_at" IS NULL
      )
    )
    AND CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) <= CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC'))) - INTERVAL '1' HOUR
), "newest" AS (
  SELECT
    "customer_id",
    MAX("event_timestamp") AS "event_timestamp"
  FROM "known"
  GROUP BY
    "customer_id"
), "history" AS (
  SELECT
    "customer_orders"."customer_id" AS "customer_id",
    CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("customer_orders"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) AS "created_timestamp",
    "customer_orders"."orders_7d" AS "orders_7d",
    "customer_orders"."amount_7d" AS "amount_7d",
    "customer_orders"."basket" AS "basket"
  FROM "shop"."features"."customer_orders"
  WHERE
    (
      NOT (
        "customer_orders"."customer_id" IS NULL
      )
      AND NOT (
        "customer_orders"."ordered_at" IS NULL
      )
    )
    AND CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) <= CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC'))) - INTERVAL '1' HOUR
), "tied" AS (
  SELECT
    "newest"."customer_id" AS "customer_id"
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
    "customer_orders"."customer_id" AS "customer_id",
    CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("customer_orders"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) AS "created_timestamp",
    "customer_orders"."orders_7d" AS "orders_7d",
    "customer_orders"."amount_7d" AS "amount_7d",
    "customer_orders"."basket" AS "basket"
  FROM "shop"."features"."customer_orders"
  WHERE
    (
      NOT (
        "customer_orders"."customer_id" IS NULL
      )
      AND NOT (
        "customer_orders"."ordered_at" IS NULL
      )
    )
    AND CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) <= CAST('2024-03-01 12:30:00.000000' AS Nullable(DateTime64(6, 'UTC'))) - INTERVAL '1' HOUR
), "ranked" AS (
  SELECT
    "rivals"."customer_id" AS "customer_id",
    "rivals"."event_timestamp" AS "event_timestamp",
    CAST(NULL AS Nullable(DateTime64(6, 'UTC'))) AS "valid_to",
    "rivals"."orders_7d" AS "orders_7d",
    "rivals"."amount_7d" AS "amount_7d",
    "rivals"."basket" AS "basket",
    ROW_NUMBER() OVER (
      PARTITION BY "rivals"."customer_id"
      ORDER BY "rivals"."created_timestamp" DESC, "rivals"."orders_7d" DESC, CASE WHEN isNaN("rivals"."amount_7d") THEN 1 ELSE 0 END DESC, "rivals"."amount_7d" DESC, "rivals"."basket" DESC
    ) AS "place"
  FROM "newest"
  INNER JOIN "rivals"
    ON "newest"."customer_id" = "rivals"."customer_id"
    AND "newest"."event_timestamp" = "rivals"."event_timestamp"
  INNER JOIN "tied"
    ON "tied"."customer_id" = "newest"."customer_id"
)
SELECT
  "history"."customer_id" AS "customer_id",
  "history"."event_timestamp" AS "event_timestamp",
  CAST(NULL AS Nullable(DateTime64(6, 'UTC'))) AS "valid_to",
  "history"."orders_7d" AS "orders_7d",
  "history"."amount_7d" AS "amount_7d",
  "history"."basket" AS "basket"
FROM "newest"
INNER JOIN "history"
  ON "newest"."customer_id" = "history"."customer_id"
  AND "newest"."event_timestamp" = "history"."event_timestamp"
LEFT ANTI JOIN "tied"
  ON "tied"."customer_id" = "history"."customer_id"
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
