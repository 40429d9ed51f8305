{{ config(
    enabled=false,
    meta={'feature_view': {'entity': 'customer_id', 'timestamp': 'retired_at'}},
) }}

select
    cast(1 as bigint) as customer_id,
    cast('2024-05-01 10:00:00' as timestamp) as retired_at,
    cast(1 as integer) as retired
