{{ featurestore.point_in_time_join(spine='labels', features=['customer_orders:*']) }}
