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
), "customer_profile_known" AS (
  SELECT
    "customer_profile"."customer_id" AS "customer_id",
    CAST("customer_profile"."dbt_valid_from" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp"
  FROM "shop"."snapshots"."customer_profile"
  WHERE
    (
      NOT (
        "customer_profile"."customer_id" IS NULL
      )
      AND NOT (
        "customer_profile"."dbt_valid_from" IS NULL
      )
      AND COALESCE(LOWER(CAST("customer_profile"."dbt_is_deleted" AS Nullable(String))), 'false') <> 'true'
    )
    AND (
      CAST("customer_profile"."dbt_valid_to" AS Nullable(DateTime64(6, 'UTC'))) IS NULL
      OR CAST("customer_profile"."dbt_valid_to" AS Nullable(DateTime64(6, 'UTC'))) > CAST("customer_profile"."dbt_valid_from" AS Nullable(DateTime64(6, 'UTC')))
    )
), "customer_profile_matched" AS (
  SELECT
    "asked"."row_number" AS "row_number",
    "asked"."asked_at" AS "asked_at",
    "asked"."customer_id" AS "customer_id",
    "customer_profile_known"."event_timestamp" AS "event_timestamp"
  FROM "asked"
  ASOF JOIN "customer_profile_known"
    ON "asked"."customer_id" = "customer_profile_known"."customer_id"
    AND "asked"."asked_at" >= "customer_profile_known"."event_timestamp"
), "customer_profile_history" AS (
  SELECT
    "customer_profile"."customer_id" AS "customer_id",
    CAST("customer_profile"."dbt_valid_from" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("customer_profile"."dbt_valid_to" AS Nullable(DateTime64(6, 'UTC'))) AS "valid_to",
    "customer_profile"."city" AS "city"
  FROM "shop"."snapshots"."customer_profile"
  WHERE
    (
      NOT (
        "customer_profile"."customer_id" IS NULL
      )
      AND NOT (
        "customer_profile"."dbt_valid_from" IS NULL
      )
      AND COALESCE(LOWER(CAST("customer_profile"."dbt_is_deleted" AS Nullable(String))), 'false') <> 'true'
    )
    AND (
      CAST("customer_profile"."dbt_valid_to" AS Nullable(DateTime64(6, 'UTC'))) IS NULL
      OR CAST("customer_profile"."dbt_valid_to" AS Nullable(DateTime64(6, 'UTC'))) > CAST("customer_profile"."dbt_valid_from" AS Nullable(DateTime64(6, 'UTC')))
    )
), "customer_profile_found" AS (
  SELECT
    "customer_profile_matched"."row_number" AS "row_number",
    "customer_profile_history"."city" AS "city"
  FROM "customer_profile_matched"
  INNER JOIN "customer_profile_history"
    ON "customer_profile_matched"."customer_id" = "customer_profile_history"."customer_id"
    AND "customer_profile_matched"."event_timestamp" = "customer_profile_history"."event_timestamp"
    AND (
      "customer_profile_history"."valid_to" IS NULL
      OR "customer_profile_matched"."asked_at" < "customer_profile_history"."valid_to"
    )
), "customer_profile_tied" AS (
  SELECT
    "row_number"
  FROM "customer_profile_found"
  GROUP BY
    "row_number"
  HAVING
    COUNT(*) > 1
), "customer_profile_rivals" AS (
  SELECT
    "customer_profile"."customer_id" AS "customer_id",
    CAST("customer_profile"."dbt_valid_from" AS Nullable(DateTime64(6, 'UTC'))) AS "event_timestamp",
    CAST("customer_profile"."dbt_valid_to" AS Nullable(DateTime64(6, 'UTC'))) AS "valid_to",
    "customer_profile"."city" AS "city"
  FROM "shop"."snapshots"."customer_profile"
  WHERE
    (
      NOT (
        "customer_profile"."customer_id" IS NULL
      )
      AND NOT (
        "customer_profile"."dbt_valid_from" IS NULL
      )
      AND COALESCE(LOWER(CAST("customer_profile"."dbt_is_deleted" AS Nullable(String))), 'false') <> 'true'
    )
    AND (
      CAST("customer_profile"."dbt_valid_to" AS Nullable(DateTime64(6, 'UTC'))) IS NULL
      OR CAST("customer_profile"."dbt_valid_to" AS Nullable(DateTime64(6, 'UTC'))) > CAST("customer_profile"."dbt_valid_from" AS Nullable(DateTime64(6, 'UTC')))
    )
), "customer_profile_ranked" AS (
  SELECT
    "customer_profile_matched"."row_number" AS "row_number",
    "customer_profile_rivals"."city" AS "city",
    ROW_NUMBER() OVER (
      PARTITION BY "customer_profile_matched"."row_number"
      ORDER BY CAST("customer_profile_rivals"."city" AS Nullable(String)) DESC, CASE WHEN "customer_profile_rivals"."valid_to" IS NULL THEN 1 ELSE 0 END DESC, "customer_profile_rivals"."valid_to" DESC
    ) AS "place"
  FROM "customer_profile_matched"
  INNER JOIN "customer_profile_rivals"
    ON "customer_profile_matched"."customer_id" = "customer_profile_rivals"."customer_id"
    AND "customer_profile_matched"."event_timestamp" = "customer_profile_rivals"."event_timestamp"
    AND (
      "customer_profile_rivals"."valid_to" IS NULL
      OR "customer_profile_matched"."asked_at" < "customer_profile_rivals"."valid_to"
    )
  INNER JOIN "customer_profile_tied"
    ON "customer_profile_tied"."row_number" = "customer_profile_matched"."row_number"
), "customer_profile_values" AS (
  SELECT
    "customer_profile_found"."row_number" AS "row_number",
    "customer_profile_found"."city" AS "city"
  FROM "customer_profile_found"
  LEFT ANTI JOIN "customer_profile_tied"
    ON "customer_profile_tied"."row_number" = "customer_profile_found"."row_number"
  UNION ALL
  SELECT
    "row_number",
    "city"
  FROM "customer_profile_ranked"
  WHERE
    "place" = 1
)
SELECT
  "spine"."customer_id" AS "customer_id",
  "spine"."shop" AS "shop",
  "spine"."event_timestamp" AS "event_timestamp",
  "spine"."label" AS "label",
  "customer_profile_values"."city" AS "city"
FROM "spine"
LEFT JOIN "customer_profile_values"
  ON "customer_profile_values"."row_number" = "spine"."row_number"
ORDER BY
  "spine"."row_number" ASC NULLS FIRST
