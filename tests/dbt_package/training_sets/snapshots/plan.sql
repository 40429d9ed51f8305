{% snapshot plan %}
{{ config(
    unique_key='customer_id',
    strategy='timestamp',
    updated_at='changed_at',
    meta={'feature_view': {'entities': {'customer': 'customer_id'}, 'features': ['plan']}},
) }}

select 1 as customer_id, timestamp '2024-05-01 00:00:00' as changed_at, 'gold' as plan

{% endsnapshot %}
