echo begun
sleep 3600
