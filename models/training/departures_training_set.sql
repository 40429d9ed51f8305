-- depends_on: {{ ref('origin_weather') }}
-- depends_on: {{ ref('plane_record') }}
-- depends_on: {{ ref('plane_landings') }}
-- depends_on: {{ ref('carrier_daily') }}
-- depends_on: {{ ref('carrier_at_origin') }}
-- depends_on: {{ ref('plane_details') }}

{{ featurestore.point_in_time_join(spine=ref('departures'), service='departure_delay_model') }}
