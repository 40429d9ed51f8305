WITH "known" AS (
  SELECT
    "CUSTOMER_ORDERS"."CUSTOMER_ID" AS "customer_id",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."ORDERED_AT") AS TIMESTAMPNTZ(6)) AS "event_timestamp"
  FROM "SHOP"."FEATURES"."CUSTOMER_ORDERS"
  WHERE
    (
      NOT "CUSTOMER_ORDERS"."CUSTOMER_ID" IS NULL AND NOT "CUSTOMER_ORDERS"."ORDERED_AT" IS NULL
    )
    AND CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."ORDERED_AT") AS TIMESTAMPNTZ(6)) <= CAST('2024-03-01 12:30:00.000000' AS TIMESTAMPNTZ(6)) - INTERVAL '1 HOUR'
), "newest" AS (
  SELECT
    "customer_id",
    MAX("event_timestamp") AS "event_timestamp"
  FROM "known"
  GROUP BY
    "customer_id"
), "history" AS (
  SELECT
    "CUSTOMER_ORDERS"."CUSTOMER_ID" AS "customer_id",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."ORDERED_AT") AS TIMESTAMPNTZ(6)) AS "event_timestamp",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."LOADED_AT") AS TIMESTAMPNTZ(6)) AS "created_timestamp",
    "CUSTOMER_ORDERS"."ORDERS_7D" AS "orders_7d",
    "CUSTOMER_ORDERS"."AMOUNT_7D" AS "amount_7d",
    "CUSTOMER_ORDERS"."BASKET" AS "basket"
  FROM "SHOP"."FEATURES"."CUSTOMER_ORDERS"
  WHERE
    (
      NOT "CUSTOMER_ORDERS"."CUSTOMER_ID" IS NULL AND NOT "CUSTOMER_ORDERS"."ORDERED_AT" IS NULL
    )
    AND CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."ORDERED_AT") AS TIMESTAMPNTZ(6)) <= CAST('2024-03-01 12:30:00.000000' AS TIMESTAMPNTZ(6)) - INTERVAL '1 HOUR'
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
    "CUSTOMER_ORDERS"."CUSTOMER_ID" AS "customer_id",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."ORDERED_AT") AS TIMESTAMPNTZ(6)) AS "event_timestamp",
    CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."LOADED_AT") AS TIMESTAMPNTZ(6)) AS "created_timestamp",
    "CUSTOMER_ORDERS"."ORDERS_7D" AS "orders_7d",
    "CUSTOMER_ORDERS"."AMOUNT_7D" AS "amount_7d",
    "CUSTOMER_ORDERS"."BASKET" AS "basket"
  FROM "SHOP"."FEATURES"."CUSTOMER_ORDERS"
  WHERE
    (
      NOT "CUSTOMER_ORDERS"."CUSTOMER_ID" IS NULL AND NOT "CUSTOMER_ORDERS"."ORDERED_AT" IS NULL
    )
    AND CAST(CONVERT_TIMEZONE('UTC', "CUSTOMER_ORDERS"."ORDERED_AT") AS TIMESTAMPNTZ(6)) <= CAST('2024-03-01 12:30:00.000000' AS TIMESTAMPNTZ(6)) - INTERVAL '1 HOUR'
), "ranked" AS (
  SELECT
    "rivals"."customer_id",
    "rivals"."event_timestamp",
    CAST(NULL AS TIMESTAMPNTZ(6)) AS "valid_to",
    "rivals"."orders_7d",
    "rivals"."amount_7d",
    "rivals"."basket",
    ROW_NUMBER() OVER (
      PARTITION BY "rivals"."customer_id"
      ORDER BY "rivals"."created_timestamp" DESC NULLS LAST, "rivals"."orders_7d" DESC NULLS LAST, "rivals"."amount_7d" DESC NULLS LAST, TO_JSON(CAST("rivals"."basket" AS VARIANT)) DESC NULLS LAST
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
  CAST(NULL AS TIMESTAMPNTZ(6)) AS "valid_to",
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
