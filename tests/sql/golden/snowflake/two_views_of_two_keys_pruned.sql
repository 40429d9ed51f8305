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
    "customer_id",
    CAST("shop" AS VARCHAR) AS "shop"
  FROM "spine"
), "customer_orders_keys" AS (
  SELECT DISTINCT
    "customer_id"
  FROM "asked"
), "customer_orders_known" AS (
  SELECT
    "CUSTOMER_ORDERS"."CUSTOMER_ID" AS "customer_id",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."ORDERED_AT") AS TIMESTAMPNTZ(6)) AS "event_timestamp",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."ORDERED_AT") AS TIMESTAMPNTZ(6)) + INTERVAL '1 HOUR' AS "known_at"
  FROM "SHOP"."FEATURES"."CUSTOMER_ORDERS"
  INNER JOIN "customer_orders_keys"
    ON "customer_orders_keys"."customer_id" = "CUSTOMER_ORDERS"."CUSTOMER_ID"
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
), "shop_visits_keys" AS (
  SELECT DISTINCT
    "customer_id",
    "shop"
  FROM "asked"
), "shop_visits_rows" AS (
  SELECT
    "SHOP_VISITS"."CUSTOMER_ID" AS "customer_id",
    CAST("SHOP_VISITS"."SHOP" AS VARCHAR) AS "shop",
    CAST("SHOP_VISITS"."VISITED_AT" AS TIMESTAMPNTZ(6)) AS "event_timestamp",
    CAST("SHOP_VISITS"."LOADED_AT" AS TIMESTAMPNTZ(6)) AS "created_timestamp",
    CASE
      WHEN CAST("SHOP_VISITS"."LOADED_AT" AS TIMESTAMPNTZ(6)) > CAST("SHOP_VISITS"."VISITED_AT" AS TIMESTAMPNTZ(6))
      THEN CAST("SHOP_VISITS"."LOADED_AT" AS TIMESTAMPNTZ(6))
      ELSE CAST("SHOP_VISITS"."VISITED_AT" AS TIMESTAMPNTZ(6))
    END AS "known_at"
  FROM "SHOP"."FEATURES"."SHOP_VISITS"
  INNER JOIN "shop_visits_keys"
    ON "shop_visits_keys"."customer_id" = "SHOP_VISITS"."CUSTOMER_ID"
    AND "shop_visits_keys"."shop" = CAST("SHOP_VISITS"."SHOP" AS VARCHAR)
  WHERE
    NOT "SHOP_VISITS"."CUSTOMER_ID" IS NULL
    AND NOT "SHOP_VISITS"."SHOP" IS NULL
    AND NOT "SHOP_VISITS"."VISITED_AT" IS NULL
), "shop_visits_numbered" AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY "customer_id", "shop"
      ORDER BY "event_timestamp" ASC NULLS FIRST, "created_timestamp" ASC NULLS FIRST
    ) AS "version"
  FROM "shop_visits_rows"
), "shop_visits_newest" AS (
  SELECT
    *,
    MAX("version") OVER (
      PARTITION BY "customer_id", "shop"
      ORDER BY "known_at" ASC NULLS FIRST, "version" DESC NULLS LAST
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "newest_version"
  FROM "shop_visits_numbered"
), "shop_visits_known" AS (
  SELECT
    "customer_id",
    "shop",
    "event_timestamp",
    "created_timestamp",
    "known_at",
    "version"
  FROM "shop_visits_newest"
  WHERE
    "version" = "newest_version"
), "shop_visits_matched" AS (
  SELECT
    "asked"."row_number",
    "asked"."asked_at",
    "asked"."customer_id",
    "asked"."shop",
    "shop_visits_known"."event_timestamp",
    "shop_visits_known"."created_timestamp"
  FROM "asked"
  ASOF JOIN "shop_visits_known" MATCH_CONDITION ("asked"."asked_at" >= "shop_visits_known"."known_at")
    ON "asked"."customer_id" = "shop_visits_known"."customer_id"
    AND "asked"."shop" = "shop_visits_known"."shop"
), "shop_visits_history" AS (
  SELECT
    "SHOP_VISITS"."CUSTOMER_ID" AS "customer_id",
    CAST("SHOP_VISITS"."SHOP" AS VARCHAR) AS "shop",
    CAST("SHOP_VISITS"."VISITED_AT" AS TIMESTAMPNTZ(6)) AS "event_timestamp",
    CAST("SHOP_VISITS"."LOADED_AT" AS TIMESTAMPNTZ(6)) AS "created_timestamp",
    "SHOP_VISITS"."VISITS" AS "visits"
  FROM "SHOP"."FEATURES"."SHOP_VISITS"
  WHERE
    NOT "SHOP_VISITS"."CUSTOMER_ID" IS NULL
    AND NOT "SHOP_VISITS"."SHOP" IS NULL
    AND NOT "SHOP_VISITS"."VISITED_AT" IS NULL
), "shop_visits_found" AS (
  SELECT
    "shop_visits_matched"."row_number",
    "shop_visits_history"."visits"
  FROM "shop_visits_matched"
  INNER JOIN "shop_visits_history"
    ON "shop_visits_matched"."customer_id" = "shop_visits_history"."customer_id"
    AND "shop_visits_matched"."shop" = "shop_visits_history"."shop"
    AND "shop_visits_matched"."event_timestamp" = "shop_visits_history"."event_timestamp"
    AND "shop_visits_matched"."created_timestamp" IS NOT DISTINCT FROM "shop_visits_history"."created_timestamp"
), "shop_visits_tied" AS (
  SELECT
    "row_number"
  FROM "shop_visits_found"
  GROUP BY
    "row_number"
  HAVING
    COUNT(*) > 1
), "shop_visits_rivals" AS (
  SELECT
    "SHOP_VISITS"."CUSTOMER_ID" AS "customer_id",
    CAST("SHOP_VISITS"."SHOP" AS VARCHAR) AS "shop",
    CAST("SHOP_VISITS"."VISITED_AT" AS TIMESTAMPNTZ(6)) AS "event_timestamp",
    CAST("SHOP_VISITS"."LOADED_AT" AS TIMESTAMPNTZ(6)) AS "created_timestamp",
    "SHOP_VISITS"."VISITS" AS "visits"
  FROM "SHOP"."FEATURES"."SHOP_VISITS"
  WHERE
    NOT "SHOP_VISITS"."CUSTOMER_ID" IS NULL
    AND NOT "SHOP_VISITS"."SHOP" IS NULL
    AND NOT "SHOP_VISITS"."VISITED_AT" IS NULL
), "shop_visits_ranked" AS (
  SELECT
    "shop_visits_matched"."row_number",
    "shop_visits_rivals"."visits",
    ROW_NUMBER() OVER (
      PARTITION BY "shop_visits_matched"."row_number"
      ORDER BY "shop_visits_rivals"."created_timestamp" DESC NULLS LAST, "shop_visits_rivals"."visits" DESC NULLS LAST
    ) AS "place"
  FROM "shop_visits_matched"
  INNER JOIN "shop_visits_rivals"
    ON "shop_visits_matched"."customer_id" = "shop_visits_rivals"."customer_id"
    AND "shop_visits_matched"."shop" = "shop_visits_rivals"."shop"
    AND "shop_visits_matched"."event_timestamp" = "shop_visits_rivals"."event_timestamp"
    AND "shop_visits_matched"."created_timestamp" IS NOT DISTINCT FROM "shop_visits_rivals"."created_timestamp"
  INNER JOIN "shop_visits_tied"
    ON "shop_visits_tied"."row_number" = "shop_visits_matched"."row_number"
), "shop_visits_values" AS (
  SELECT
    "shop_visits_found"."row_number",
    "shop_visits_found"."visits"
  FROM "shop_visits_found"
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM "shop_visits_tied"
      WHERE
        "shop_visits_tied"."row_number" = "shop_visits_found"."row_number"
    )
  UNION ALL
  SELECT
    "row_number",
    "visits"
  FROM "shop_visits_ranked"
  WHERE
    "place" = 1
)
SELECT
  "spine"."customer_id",
  "spine"."shop",
  "spine"."event_timestamp",
  "spine"."label",
  "customer_orders_values"."orders_7d",
  "customer_orders_values"."amount_7d",
  "shop_visits_values"."visits"
FROM "spine"
LEFT JOIN "customer_orders_values"
  ON "customer_orders_values"."row_number" = "spine"."row_number"
LEFT JOIN "shop_visits_values"
  ON "shop_visits_values"."row_number" = "spine"."row_number"
ORDER BY
  "spine"."row_number" ASC NULLS FIRST
