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
), "customer_profile_known" AS (
  SELECT
    "CUSTOMER_PROFILE"."CUSTOMER_ID" AS "customer_id",
    CAST("CUSTOMER_PROFILE"."DBT_VALID_FROM" AS TIMESTAMPNTZ(6)) AS "event_timestamp"
  FROM "SHOP"."SNAPSHOTS"."CUSTOMER_PROFILE"
  WHERE
    (
      NOT "CUSTOMER_PROFILE"."CUSTOMER_ID" IS NULL
      AND NOT "CUSTOMER_PROFILE"."DBT_VALID_FROM" IS NULL
      AND COALESCE(LOWER(CAST("CUSTOMER_PROFILE"."DBT_IS_DELETED" AS VARCHAR)), 'false') <> 'true'
    )
    AND (
      CAST("CUSTOMER_PROFILE"."DBT_VALID_TO" AS TIMESTAMPNTZ(6)) IS NULL
      OR CAST("CUSTOMER_PROFILE"."DBT_VALID_TO" AS TIMESTAMPNTZ(6)) > CAST("CUSTOMER_PROFILE"."DBT_VALID_FROM" AS TIMESTAMPNTZ(6))
    )
), "customer_profile_matched" AS (
  SELECT
    "asked"."row_number",
    "asked"."asked_at",
    "asked"."customer_id",
    "customer_profile_known"."event_timestamp"
  FROM "asked"
  ASOF JOIN "customer_profile_known" MATCH_CONDITION ("asked"."asked_at" >= "customer_profile_known"."event_timestamp")
    ON "asked"."customer_id" = "customer_profile_known"."customer_id"
), "customer_profile_history" AS (
  SELECT
    "CUSTOMER_PROFILE"."CUSTOMER_ID" AS "customer_id",
    CAST("CUSTOMER_PROFILE"."DBT_VALID_FROM" AS TIMESTAMPNTZ(6)) AS "event_timestamp",
    CAST("CUSTOMER_PROFILE"."DBT_VALID_TO" AS TIMESTAMPNTZ(6)) AS "valid_to",
    "CUSTOMER_PROFILE"."CITY" AS "city"
  FROM "SHOP"."SNAPSHOTS"."CUSTOMER_PROFILE"
  WHERE
    (
      NOT "CUSTOMER_PROFILE"."CUSTOMER_ID" IS NULL
      AND NOT "CUSTOMER_PROFILE"."DBT_VALID_FROM" IS NULL
      AND COALESCE(LOWER(CAST("CUSTOMER_PROFILE"."DBT_IS_DELETED" AS VARCHAR)), 'false') <> 'true'
    )
    AND (
      CAST("CUSTOMER_PROFILE"."DBT_VALID_TO" AS TIMESTAMPNTZ(6)) IS NULL
      OR CAST("CUSTOMER_PROFILE"."DBT_VALID_TO" AS TIMESTAMPNTZ(6)) > CAST("CUSTOMER_PROFILE"."DBT_VALID_FROM" AS TIMESTAMPNTZ(6))
    )
), "customer_profile_found" AS (
  SELECT
    "customer_profile_matched"."row_number",
    "customer_profile_history"."city"
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
    "CUSTOMER_PROFILE"."CUSTOMER_ID" AS "customer_id",
    CAST("CUSTOMER_PROFILE"."DBT_VALID_FROM" AS TIMESTAMPNTZ(6)) AS "event_timestamp",
    CAST("CUSTOMER_PROFILE"."DBT_VALID_TO" AS TIMESTAMPNTZ(6)) AS "valid_to",
    "CUSTOMER_PROFILE"."CITY" AS "city"
  FROM "SHOP"."SNAPSHOTS"."CUSTOMER_PROFILE"
  WHERE
    (
      NOT "CUSTOMER_PROFILE"."CUSTOMER_ID" IS NULL
      AND NOT "CUSTOMER_PROFILE"."DBT_VALID_FROM" IS NULL
      AND COALESCE(LOWER(CAST("CUSTOMER_PROFILE"."DBT_IS_DELETED" AS VARCHAR)), 'false') <> 'true'
    )
    AND (
      CAST("CUSTOMER_PROFILE"."DBT_VALID_TO" AS TIMESTAMPNTZ(6)) IS NULL
      OR CAST("CUSTOMER_PROFILE"."DBT_VALID_TO" AS TIMESTAMPNTZ(6)) > CAST("CUSTOMER_PROFILE"."DBT_VALID_FROM" AS TIMESTAMPNTZ(6))
    )
), "customer_profile_ranked" AS (
  SELECT
    "customer_profile_matched"."row_number",
    "customer_profile_rivals"."city",
    ROW_NUMBER() OVER (
      PARTITION BY "customer_profile_matched"."row_number"
      ORDER BY CAST("customer_profile_rivals"."city" AS VARCHAR) DESC NULLS LAST, CASE WHEN "customer_profile_rivals"."valid_to" IS NULL THEN 1 ELSE 0 END DESC NULLS LAST, "customer_profile_rivals"."valid_to" DESC NULLS LAST
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
    "customer_profile_found"."row_number",
    "customer_profile_found"."city"
  FROM "customer_profile_found"
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM "customer_profile_tied"
      WHERE
        "customer_profile_tied"."row_number" = "customer_profile_found"."row_number"
    )
  UNION ALL
  SELECT
    "row_number",
    "city"
  FROM "customer_profile_ranked"
  WHERE
    "place" = 1
)
SELECT
  "spine"."customer_id",
  "spine"."shop",
  "spine"."event_timestamp",
  "spine"."label",
  "customer_profile_values"."city"
FROM "spine"
LEFT JOIN "customer_profile_values"
  ON "customer_profile_values"."row_number" = "spine"."row_number"
ORDER BY
  "spine"."row_number" ASC NULLS FIRST
