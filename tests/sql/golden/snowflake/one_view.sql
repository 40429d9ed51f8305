WITH "spine" AS (
  SELECT
    ROW_NUMBER() OVER (ORDER BY (
      SELECT
        NULL
    ) ASC NULLS FIRST) AS "row_number",
    "CUSTOMER_ID" AS "customer_id",
    "SHOP" AS "shop",
    "EVENT_TIMESTAMP" AS "event_timestamp",
    "LABEL" AS "label"
  FROM "SHOP"."ML"."LABELS"
), "asked" AS (
  SELECT
    "row_number",
    CAST("event_timestamp" AS TIMESTAMPNTZ(6)) AS "asked_at",
    "customer_id"
  FROM "spine"
), "customer_orders_known" AS (
  SELECT
    "CUSTOMER_ORDERS"."CUSTOMER_ID" AS "customer_id",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."ORDERED_AT") AS TIMESTAMPNTZ(6)) AS "event_timestamp",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."ORDERED_AT") AS TIMESTAMPNTZ(6)) + INTERVAL '1 HOUR' AS "known_at"
  FROM "SHOP"."FEATURES"."CUSTOMER_ORDERS"
  WHERE
    NOT "CUSTOMER_ORDERS"."CUSTOMER_ID" IS NULL AND NOT "CUSTOMER_ORDERS"."ORDERED_AT" IS NULL
), "customer_orders_matched" AS (
  SELECT
    "asked"."row_number",
    "asked"."asked_at",
    "asked"."customer_id",
    "customer_orders_known"."event_timestamp"
  FROM "asked"
  ASOF JOIN "customer_orders_known" MATCH_CONDITION ("asked"."asked_at" >= "customer_orders_known"."known_at")
    ON "asked"."customer_id" = "customer_orders_known"."customer_id"
  WHERE
    "customer_orders_known"."event_timestamp" >= "asked"."asked_at" - INTERVAL '7 DAY'
), "customer_orders_history" AS (
  SELECT
    "CUSTOMER_ORDERS"."CUSTOMER_ID" AS "customer_id",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."ORDERED_AT") AS TIMESTAMPNTZ(6)) AS "event_timestamp",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."LOADED_AT") AS TIMESTAMPNTZ(6)) AS "created_timestamp",
    "CUSTOMER_ORDERS"."ORDERS_7D" AS "orders_7d",
    "CUSTOMER_ORDERS"."AMOUNT_7D" AS "amount_7d"
  FROM "SHOP"."FEATURES"."CUSTOMER_ORDERS"
  WHERE
    NOT "CUSTOMER_ORDERS"."CUSTOMER_ID" IS NULL AND NOT "CUSTOMER_ORDERS"."ORDERED_AT" IS NULL
), "customer_orders_found" AS (
  SELECT
    "customer_orders_matched"."row_number",
    "customer_orders_history"."orders_7d",
    "customer_orders_history"."amount_7d"
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
    "CUSTOMER_ORDERS"."CUSTOMER_ID" AS "customer_id",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."ORDERED_AT") AS TIMESTAMPNTZ(6)) AS "event_timestamp",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."LOADED_AT") AS TIMESTAMPNTZ(6)) AS "created_timestamp",
    "CUSTOMER_ORDERS"."ORDERS_7D" AS "orders_7d",
    "CUSTOMER_ORDERS"."AMOUNT_7D" AS "amount_7d",
    "CUSTOMER_ORDERS"."BASKET" AS "basket"
  FROM "SHOP"."FEATURES"."CUSTOMER_ORDERS"
  WHERE
    NOT "CUSTOMER_ORDERS"."CUSTOMER_ID" IS NULL AND NOT "CUSTOMER_ORDERS"."ORDERED_AT" IS NULL
), "customer_orders_ranked" AS (
  SELECT
    "customer_orders_matched"."row_number",
    "customer_orders_rivals"."orders_7d",
    "customer_orders_rivals"."amount_7d",
    ROW_NUMBER() OVER (
      PARTITION BY "customer_orders_matched"."row_number"
      ORDER BY "customer_orders_rivals"."created_timestamp" DESC NULLS LAST, "customer_orders_rivals"."orders_7d" DESC NULLS LAST, "customer_orders_rivals"."amount_7d" DESC NULLS LAST, TO_JSON(CAST("customer_orders_rivals"."basket" AS VARIANT)) DESC NULLS LAST
    ) AS "place"
  FROM "customer_orders_matched"
  INNER JOIN "customer_orders_rivals"
    ON "customer_orders_matched"."customer_id" = "customer_orders_rivals"."customer_id"
    AND "customer_orders_matched"."event_timestamp" = "customer_orders_rivals"."event_timestamp"
  INNER JOIN "customer_orders_tied"
    ON "customer_orders_tied"."row_number" = "customer_orders_matched"."row_number"
), "customer_orders_values" AS (
  SELECT
    "customer_orders_found"."row_number",
    "customer_orders_found"."orders_7d",
    "customer_orders_found"."amount_7d"
  FROM "customer_orders_found"
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM "customer_orders_tied"
      WHERE
        "customer_orders_tied"."row_number" = "customer_orders_found"."row_number"
    )
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
