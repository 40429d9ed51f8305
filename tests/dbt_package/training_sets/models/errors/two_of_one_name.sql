{{ featurestore.point_in_time_join(spine=ref('labels'), features=['customer_profile:segment', 'customer_profile.v1:segment']) }}
