WITH "spine" AS (
  SELECT
    CAST(ROW_NUMBER() OVER (
      ORDER BY "customer_id" ASC NULLS FIRST, "shop" ASC NULLS FIRST, "event_timestamp" ASC NULLS FIRST, "label" ASC NULLS FIRST
    ) AS Nullable(Int64)) AS "row_number",
    "customer_id",
    "shop",
    "event_timestamp",
    "label"
  FROM "shop"."ml"."labels"
), "asked" AS (
  SELECT
    "row_number",
    CAST("event_timestamp" AS Nullable(DateTime64(6, 'UTC'))) AS "asked_at",
    "customer_id"
  FROM "spine"
), "customer_orders_known" AS (
  SELECT
    "customer_orders"."customer_id" AS "customer_id",
    CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) + INTERVAL '1' HOUR AS "known_at"
  FROM "shop"."features"."customer_orders"
  WHERE
    NOT (
      "customer_orders"."customer_id" IS NULL
    )
    AND NOT (
      "customer_orders"."ordered_at" IS NULL
    )
), "customer_orders_matched" AS (
  SELECT
    "asked"."row_number" AS "row_number",
    "asked"."asked_at" AS "asked_at",
    "asked"."customer_id" AS "customer_id",
    "customer_orders_known"."event_timestamp" AS "event_timestamp"
  FROM "asked"
  ASOF JOIN "customer_orders_known"
    ON "asked"."customer_id" = "customer_orders_known"."customer_id"
    AND "asked"."asked_at" >= "customer_orders_known"."known_at"
  WHERE
    "customer_orders_known"."event_timestamp" >= "asked"."asked_at" - INTERVAL '7' DAY
), "customer_orders_history" AS (
  SELECT
    "customer_orders"."customer_id" AS "customer_id",
    CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("customer_orders"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) AS "created_timestamp",
    "customer_orders"."orders_7d" AS "orders_7d",
    "customer_orders"."amount_7d" AS "amount_7d"
  FROM "shop"."features"."customer_orders"
  WHERE
    NOT (
      "customer_orders"."customer_id" IS NULL
    )
    AND NOT (
      "customer_orders"."ordered_at" IS NULL
    )
), "customer_orders_found" AS (
  SELECT
    "customer_orders_matched"."row_number" AS "row_number",
    "customer_orders_history"."orders_7d" AS "orders_7d",
    "customer_orders_history"."amount_7d" AS "amount_7d"
  FROM "customer_orders_matched"
  INNER JOIN "customer_orders_history"
    ON "customer_orders_matched"."customer_id" = "customer_orders_history"."customer_id"
    AND "customer_orders_matched"."event_timestamp" = "customer_orders_history"."event_timestamp"
), "customer_orders_tied" AS (
  SELECT
    "row_number"
  FROM "customer_orders_found"
  GROUP BY
    "row_number"
  HAVING
    COUNT(*) > 1
), "customer_orders_rivals" AS (
  SELECT
    "customer_orders"."customer_id" AS "customer_id",
    CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("customer_orders"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) AS "created_timestamp",
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
), "customer_orders_ranked" AS (
  SELECT
    "customer_orders_matched"."row_number" AS "row_number",
    "customer_orders_rivals"."orders_7d" AS "orders_7d",
    "customer_orders_rivals"."amount_7d" AS "amount_7d",
    ROW_NUMBER() OVER (
      PARTITION BY "customer_orders_matched"."row_number"
      ORDER BY "customer_orders_rivals"."created_timestamp" DESC, "customer_orders_rivals"."orders_7d" DESC, CASE WHEN isNaN("customer_orders_rivals"."amount_7d") THEN 1 ELSE 0 END DESC, "customer_orders_rivals"."amount_7d" DESC, "customer_orders_rivals"."basket" DESC
    ) AS "place"
  FROM "customer_orders_matched"
  INNER JOIN "customer_orders_rivals"
    ON "customer_orders_matched"."customer_id" = "customer_orders_rivals"."customer_id"
    AND "customer_orders_matched"."event_timestamp" = "customer_orders_rivals"."event_timestamp"
  INNER JOIN "customer_orders_tied"
    ON "customer_orders_tied"."row_number" = "customer_orders_matched"."row_number"
), "customer_orders_values" AS (
  SELECT
    "customer_orders_found"."row_number" AS "row_number",
    "customer_orders_found"."orders_7d" AS "orders_7d",
    "customer_orders_found"."amount_7d" AS "amount_7d"
  FROM "customer_orders_found"
  LEFT ANTI JOIN "customer_orders_tied"
    ON "customer_orders_tied"."row_number" = "customer_orders_found"."row_number"
  UNION ALL
  SELECT
    "row_number",
    "orders_7d",
    "amount_7d"
  FROM "customer_orders_ranked"
  WHERE
    "place" = 1
)
SELECT
  "spine"."customer_id" AS "customer_id",
  "spine"."shop" AS "shop",
  "spine"."event_timestamp" AS "event_timestamp",
  "spine"."label" AS "label",
  "customer_orders_values"."orders_7d" AS "orders_7d",
  "customer_orders_values"."amount_7d" AS "amount_7d"
FROM "spine"
LEFT JOIN "customer_orders_values"
  ON "customer_orders_values"."row_number" = "spine"."row_number"
ORDER BY
  "spine"."row_number" ASC NULLS FIRST
