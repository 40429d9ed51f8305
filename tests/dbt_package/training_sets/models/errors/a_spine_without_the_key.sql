{{ featurestore.point_in_time_join(spine=ref('clicks_by_page'), features=['customer_orders:*'], event_timestamp='clicked_at') }}
