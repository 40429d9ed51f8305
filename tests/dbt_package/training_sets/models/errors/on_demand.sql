{{ featurestore.point_in_time_join(spine=ref('labels'), features=['customer_orders:basket_share']) }}
