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
), "subscriptions_rows" AS (
  SELECT
    "subscriptions"."customer_id" AS "customer_id",
    CAST("subscriptions"."dbt_valid_from" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("subscriptions"."dbt_valid_to" AS Nullable(DateTime64(6, 'UTC'))) AS "valid_to",
    "subscriptions"."plan" AS "plan"
  FROM "shop"."snapshots"."subscriptions"
  WHERE
    NOT (
      "subscriptions"."customer_id" IS NULL
    )
    AND NOT (
      "subscriptions"."dbt_valid_from" IS NULL
    )
), "subscriptions_versions" AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY "subscriptions_rows"."customer_id"
      ORDER BY "subscriptions_rows"."event_timestamp" ASC NULLS FIRST, CAST("subscriptions_rows"."plan" AS Nullable(String)) ASC NULLS FIRST, CASE WHEN "subscriptions_rows"."valid_to" IS NULL THEN 1 ELSE 0 END ASC NULLS FIRST, "subscriptions_rows"."valid_to" ASC NULLS FIRST
    ) AS "version"
  FROM "subscriptions_rows"
), "subscriptions_matched" AS (
  SELECT
    "asked"."row_number" AS "row_number",
    "asked"."asked_at" AS "asked_at",
    "asked"."customer_id" AS "customer_id",
    MAX("subscriptions_versions"."version") AS "version"
  FROM "asked"
  INNER JOIN "subscriptions_versions"
    ON "asked"."customer_id" = "subscriptions_versions"."customer_id"
    AND "asked"."asked_at" >= "subscriptions_versions"."event_timestamp"
    AND (
      "subscriptions_versions"."valid_to" IS NULL
      OR "asked"."asked_at" < "subscriptions_versions"."valid_to"
    )
  GROUP BY
    "asked"."row_number",
    "asked"."asked_at",
    "asked"."customer_id"
), "subscriptions_values" AS (
  SELECT
    "subscriptions_matched"."row_number" AS "row_number",
    "subscriptions_versions"."plan" AS "plan"
  FROM "subscriptions_matched"
  INNER JOIN "subscriptions_versions"
    ON "subscriptions_matched"."customer_id" = "subscriptions_versions"."customer_id"
    AND "subscriptions_matched"."version" = "subscriptions_versions"."version"
    AND "subscriptions_versions"."event_timestamp" >= "subscriptions_matched"."asked_at" - INTERVAL '30' DAY
)
SELECT
  "spine"."customer_id" AS "customer_id",
  "spine"."shop" AS "shop",
  "spine"."event_timestamp" AS "event_timestamp",
  "spine"."label" AS "label",
  "subscriptions_values"."plan" AS "plan"
FROM "spine"
LEFT JOIN "subscriptions_values"
  ON "subscriptions_values"."row_number" = "spine"."row_number"
ORDER BY
  "spine"."row_number" ASC NULLS FIRST
