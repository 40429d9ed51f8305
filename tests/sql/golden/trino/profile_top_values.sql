SELECT
  "value",
  "times"
FROM (
  SELECT
    "f3" AS "value",
    COUNT(*) AS "times"
  FROM "profiled_current"
  WHERE
    NOT "f3" IS NULL
  GROUP BY
    "f3"
) AS "counted"
ORDER BY
  "times" DESC,
  CAST("value" AS VARCHAR) ASC NULLS FIRST
LIMIT 20
