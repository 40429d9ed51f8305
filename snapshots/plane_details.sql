{% snapshot plane_details %}
{{ config(
    enabled=(target.profile_name == 'featurestore'),
    target_schema=target.schema,
    unique_key='tailnum',
    strategy='timestamp',
    updated_at='recorded_at',
    meta={'feature_view': {
        'entities': {'plane': 'tailnum'},
        'features': ['built_year', 'manufacturer', 'model', 'engines', 'seats', 'engine_type'],
    }},
) }}

select * from {{ ref('stg_planes') }}

{% endsnapshot %}
