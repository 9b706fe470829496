"""One child from launch to reap."""
