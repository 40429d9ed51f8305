{{ config(
    event_time='changed_at',
    tags=['profile'],
    meta={'feature_view': {
        'entities': {'customer': 'customer_id'},
        'timestamp': 'changed_at',
        'created_timestamp': 'loaded_at',
        'ttl': '365 days',
    }},
) }}

select
    cast(1 as bigint) as customer_id,
    cast('2024-05-01 10:00:00' as timestamp) as changed_at,
    cast('2024-05-01 11:00:00' as timestamp) as loaded_at,
    cast('2024-01-31' as date) as signed_up_on,
    cast(['a', 'b'] as varchar[]) as segments
