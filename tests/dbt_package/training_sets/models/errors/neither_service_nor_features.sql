{{ featurestore.point_in_time_join(spine=ref('labels')) }}
