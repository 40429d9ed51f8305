CREATE TABLE `entity_df` (
  `row_number` BIGINT,
  `shop` STRING,
  `event_timestamp` TIMESTAMP,
  `day` DATE,
  `flag` BOOLEAN,
  `score` DOUBLE,
  `price` DECIMAL(10, 2),
  `token` BINARY
)
