{{ config(materialized='incremental', unique_key=['customer_id', 'embedded_at'], on_schema_change='append_new_columns') }}

select
    cast(1 as bigint) as customer_id,
    cast('2024-05-01 10:00:00' as timestamp with time zone) as embedded_at,
    [cast(0.25 as float), cast(-1.5 as float)] as embedding
