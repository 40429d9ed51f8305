CREATE TEMPORARY TABLE "entity_df" (
  "row_number" BIGINT,
  "shop" VARCHAR,
  "event_timestamp" TIMESTAMPNTZ(6),
  "day" DATE,
  "flag" BOOLEAN,
  "score" DOUBLE,
  "price" DECIMAL(10, 2),
  "token" BINARY
)
