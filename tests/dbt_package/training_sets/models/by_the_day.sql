{{ config(
    tags=['by_batch'],
    materialized='incremental',
    incremental_strategy='microbatch',
    event_time='event_timestamp',
    begin='2024-05-01',
    batch_size='day',
) }}
{{ featurestore.point_in_time_join(spine=ref('known_labels'), features=['customer_orders:orders_7d']) }}
