{% snapshot product_price %}
{{ config(
    target_schema=target.schema,
    unique_key='product_id',
    strategy='timestamp',
    updated_at='changed_at',
    meta={'feature_view': {'entities': {'product': 'product_id'}, 'features': ['price']}},
) }}

select * from {{ ref('product_extract') }}

{% endsnapshot %}
