-- depends_on: {{ ref('customer_orders') }}
-- depends_on: {{ ref('customer_profile') }}
-- depends_on: {{ ref('customer_profile', version='1') }}
-- depends_on: {{ ref('plan') }}
-- depends_on: {{ ref('partner', 'partner_rating') }}
{{ featurestore.point_in_time_join(spine=ref('labels'), service='churn_model', full_feature_names=true) }}
