template <int N> struct Deep {
    typedef typename Deep<N - 1>::type left;
    typedef Deep<N - 1> right;
    struct type : left, Deep<N / 2> {};
};
template <class T, class U> struct Pair {};
template <int N, class T> struct Wide {
    typedef typename Wide<N - 1, Pair<T, int>>::type a;
    typedef typename Wide<N - 1, Pair<int, T>>::type b;
    typedef Pair<a, b> type;
};
template <class T> struct Wide<0, T> { typedef T type; };
Wide<40, int>::type bomb;
