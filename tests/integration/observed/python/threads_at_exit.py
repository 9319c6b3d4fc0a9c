import threading, time
threading.Thread(target=lambda: (time.sleep(0.05), print('late'))).start()
print(threading.main_thread().name, threading.active_count(), threading.get_native_id())
