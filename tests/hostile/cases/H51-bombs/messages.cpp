template <class T> class L {
    L<T *> operator->();
};
L<int> i = i->
