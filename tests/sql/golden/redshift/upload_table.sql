CREATE TEMPORARY TABLE "entity_df" (
  "row_number" BIGINT,
  "shop" VARCHAR(MAX),
  "event_timestamp" TIMESTAMP,
  "day" DATE,
  "flag" BOOLEAN,
  "score" DOUBLE PRECISION,
  "price" DECIMAL(10, 2),
  "token" VARBYTE(65535)
)
