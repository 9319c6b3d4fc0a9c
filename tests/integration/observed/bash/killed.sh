kill -USR1 $$; sleep 2
