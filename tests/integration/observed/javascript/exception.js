function f() { throw new TypeError('x') }
function g() { f() }
g()
