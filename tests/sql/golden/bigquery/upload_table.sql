CREATE TABLE `entity_df` (
  `row_number` INT64,
  `shop` STRING,
  `event_timestamp` DATETIME,
  `day` DATE,
  `flag` BOOL,
  `score` FLOAT64,
  `price` NUMERIC(10, 2),
  `token` BYTES
)
