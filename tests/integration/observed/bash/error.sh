echo one
if then
