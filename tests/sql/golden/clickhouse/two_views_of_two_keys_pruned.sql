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
    "customer_id",
    CAST("shop" AS Nullable(String)) AS "shop"
  FROM "spine"
), "customer_orders_keys" AS (
  SELECT DISTINCT
    "customer_id"
  FROM "asked"
), "customer_orders_known" AS (
  SELECT
    "customer_orders"."customer_id" AS "customer_id",
    CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("customer_orders"."ordered_at" AS Nullable(DateTime64(6, 'UTC'))) + INTERVAL '1' HOUR AS "known_at"
  FROM "shop"."features"."customer_orders"
  INNER JOIN "customer_orders_keys"
    ON "customer_orders_keys"."customer_id" = "customer_orders"."customer_id"
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
), "shop_visits_keys" AS (
  SELECT DISTINCT
    "customer_id",
    "shop"
  FROM "asked"
), "shop_visits_rows" AS (
  SELECT
    "shop_visits"."customer_id" AS "customer_id",
    CAST("shop_visits"."shop" AS Nullable(String)) AS "shop",
    CAST("shop_visits"."visited_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("shop_visits"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) AS "created_timestamp",
    CASE
      WHEN CAST("shop_visits"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) > CAST("shop_visits"."visited_at" AS Nullable(DateTime64(6, 'UTC')))
      THEN CAST("shop_visits"."loaded_at" AS Nullable(DateTime64(6, 'UTC')))
      ELSE CAST("shop_visits"."visited_at" AS Nullable(DateTime64(6, 'UTC')))
    END AS "known_at"
  FROM "shop"."features"."shop_visits"
  INNER JOIN "shop_visits_keys"
    ON "shop_visits_keys"."customer_id" = "shop_visits"."customer_id"
    AND "shop_visits_keys"."shop" = CAST("shop_visits"."shop" AS Nullable(String))
  WHERE
    NOT (
      "shop_visits"."customer_id" IS NULL
    )
    AND NOT (
      "shop_visits"."shop" IS NULL
    )
    AND NOT (
      "shop_visits"."visited_at" IS NULL
    )
), "shop_visits_numbered" AS (
  SELECT
    *,
    CAST(ROW_NUMBER() OVER (
      PARTITION BY "customer_id", "shop"
      ORDER BY "event_timestamp" ASC NULLS FIRST, "created_timestamp" ASC NULLS FIRST
    ) AS Nullable(Int64)) AS "version"
  FROM "shop_visits_rows"
), "shop_visits_newest" AS (
  SELECT
    *,
    MAX("version") OVER (
      PARTITION BY "customer_id", "shop"
      ORDER BY "known_at" ASC NULLS FIRST, "version" DESC
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
    "asked"."row_number" AS "row_number",
    "asked"."asked_at" AS "asked_at",
    "asked"."customer_id" AS "customer_id",
    "asked"."shop" AS "shop",
    "shop_visits_known"."event_timestamp" AS "event_timestamp",
    "shop_visits_known"."created_timestamp" AS "created_timestamp"
  FROM "asked"
  ASOF JOIN "shop_visits_known"
    ON "asked"."customer_id" = "shop_visits_known"."customer_id"
    AND "asked"."shop" = "shop_visits_known"."shop"
    AND "asked"."asked_at" >= "shop_visits_known"."known_at"
), "shop_visits_history" AS (
  SELECT
    "shop_visits"."customer_id" AS "customer_id",
    CAST("shop_visits"."shop" AS Nullable(String)) AS "shop",
    CAST("shop_visits"."visited_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("shop_visits"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) AS "created_timestamp",
    "shop_visits"."visits" AS "visits"
  FROM "shop"."features"."shop_visits"
  WHERE
    NOT (
      "shop_visits"."customer_id" IS NULL
    )
    AND NOT (
      "shop_visits"."shop" IS NULL
    )
    AND NOT (
      "shop_visits"."visited_at" IS NULL
    )
), "shop_visits_found" AS (
  SELECT
    "shop_visits_matched"."row_number" AS "row_number",
    "shop_visits_history"."visits" AS "visits"
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
    "shop_visits"."customer_id" AS "customer_id",
    CAST("shop_visits"."shop" AS Nullable(String)) AS "shop",
    CAST("shop_visits"."visited_at" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("shop_visits"."loaded_at" AS Nullable(DateTime64(6, 'UTC'))) AS "created_timestamp",
    "shop_visits"."visits" AS "visits"
  FROM "shop"."features"."shop_visits"
  WHERE
    NOT (
      "shop_visits"."customer_id" IS NULL
    )
    AND NOT (
      "shop_visits"."shop" IS NULL
    )
    AND NOT (
      "shop_visits"."visited_at" IS NULL
    )
), "shop_visits_ranked" AS (
  SELECT
    "shop_visits_matched"."row_number" AS "row_number",
    "shop_visits_rivals"."visits" AS "visits",
    ROW_NUMBER() OVER (
      PARTITION BY "shop_visits_matched"."row_number"
      ORDER BY "shop_visits_rivals"."created_timestamp" DESC, "shop_visits_rivals"."visits" DESC
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
    "shop_visits_found"."row_number" AS "row_number",
    "shop_visits_found"."visits" AS "visits"
  FROM "shop_visits_found"
  LEFT ANTI JOIN "shop_visits_tied"
    ON "shop_visits_tied"."row_number" = "shop_visits_found"."row_number"
  UNION ALL
  SELECT
    "row_number",
    "visits"
  FROM "shop_visits_ranked"
  WHERE
    "place" = 1
)
SELECT
  "spine"."customer_id" AS "customer_id",
  "spine"."shop" AS "shop",
  "spine"."event_timestamp" AS "event_timestamp",
  "spine"."label" AS "label",
  "customer_orders_values"."orders_7d" AS "orders_7d",
  "customer_orders_values"."amount_7d" AS "amount_7d",
  "shop_visits_values"."visits" AS "visits"
FROM "spine"
LEFT JOIN "customer_orders_values"
  ON "customer_orders_values"."row_number" = "spine"."row_number"
LEFT JOIN "shop_visits_values"
  ON "shop_visits_values"."row_number" = "spine"."row_number"
ORDER BY
  "spine"."row_number" ASC NULLS FIRST
