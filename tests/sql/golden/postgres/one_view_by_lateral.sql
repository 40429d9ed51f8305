WITH "spine" AS (
  SELECT
    ROW_NUMBER() OVER () AS "row_number",
    "customer_id",
    "shop",
    "event_timestamp",
    "label"
  FROM "shop"."ml"."labels"
), "asked" AS (
  SELECT
    "row_number",
    CAST("event_timestamp" AS TIMESTAMP) AS "asked_at",
    "customer_id"
  FROM "spine"
), "customer_orders_values" AS (
  SELECT
    "asked"."row_number",
    "customer_orders_seen"."orders_7d",
    "customer_orders_seen"."amount_7d"
  FROM "asked"
  CROSS JOIN LATERAL (
    SELECT
      *
    FROM (
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
        AND "asked"."customer_id" = "customer_orders"."customer_id"
        AND "customer_orders"."ordered_at" <= (
          "asked"."asked_at" - INTERVAL '1 HOUR'
        ) AT TIME ZONE 'UTC'
      ORDER BY
        "customer_orders"."ordered_at" DESC
      FETCH FIRST 1 ROWS WITH TIES
    ) AS "customer_orders_rows"
    ORDER BY
      "customer_orders_rows"."created_timestamp" DESC NULLS LAST,
      "customer_orders_rows"."orders_7d" DESC NULLS LAST,
      "customer_orders_rows"."amount_7d" DESC NULLS LAST,
      "customer_orders_rows"."basket" COLLATE "C" DESC NULLS LAST
    LIMIT 1
  ) AS "customer_orders_seen"
  WHERE
    "customer_orders_seen"."event_timestamp" >= "asked"."asked_at" - INTERVAL '7 DAY'
)
SELECT
  "spine"."customer_id",
  "spine"."shop",
  "spine"."event_timestamp",
  "spine"."label",
  "customer_orders_values"."orders_7d",
  "customer_orders_values"."amount_7d"
FROM "spine"
LEFT JOIN "customer_orders_values"
  ON "customer_orders_values"."row_number" = "spine"."row_number"
ORDER BY
  "spine"."row_number" ASC NULLS FIRST
