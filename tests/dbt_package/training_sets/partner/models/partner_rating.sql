{{ config(materialized='table', meta={'feature_view': {'entity': 'customer_id', 'timestamp': 'rated_at'}}) }}

select 1 as customer_id, timestamp '2024-05-01 08:00:00' as rated_at, 4.5 as rating
