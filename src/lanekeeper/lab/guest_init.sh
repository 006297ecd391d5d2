#!/bin/sh
# The guest's only program: says on the serial console what it has been given, and answers pings.
#
# It reads the config drive: openstack/latest/meta_data.json and network_data.json. In meta_data's
# "meta": ping = addresses to ping, comma separated; ping_wait = seconds until one counts as lost,
# for a single one written behind it: ADDRESS/SECONDS.

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1

uptime() { cut -d' ' -f1 /proc/uptime; }

load() { # GROUP: insert its modules, once
  [ -e "/loaded/$1" ] && return
  : >"/loaded/$1"
  for module in $(cat "/modules/$1"); do
    [ -e "/loaded/$module" ] || insmod "/modules/$module" || echo "GUEST-WARN insmod $module"
    : >"/loaded/$module"
  done
}

load_drivers() {
  for device in /sys/bus/pci/devices/*; do
    case $(cat "$device/vendor"):$(cat "$device/device"):$(cat "$device/class") in
      0x8086:0x10ca:*) load igbvf ;;
      0x8086:0x10c9:*) load igb ;;
      0x1af4:*:0x0200*) load virtio_net ;;
      0x1af4:0x1001:* | 0x1af4:0x1042:*) load virtio_blk ;;
      0x1af4:0x1004:* | 0x1af4:0x1048:*) load virtio_scsi ;;
      *:0x010601) load ahci ;;
      *:0x010802) load nvme ;;
    esac
  done
}

find_config() { # mount the config drive at /config; a drive may take seconds to appear
  load isofs
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    for block in /sys/class/block/*; do
      mount -t iso9660 -o ro "/dev/${block##*/}" /config 2>/dev/null || continue
      [ -e /config/openstack/latest/meta_data.json ] && return
      umount /config
    done
    sleep 0.5
  done
  return 1
}

flat() { [ -e "$1" ] && awk -f /flat.awk "$1"; } # JSON as lines of path TAB value
value() { awk -F'\t' -v path="$2" '$1 == path { print $2; exit }' "$1"; }

interface_of() { # MAC
  for card in /sys/class/net/*; do
    [ "$(cat "$card/address")" = "$1" ] && [ -e "$card/device" ] && echo "${card##*/}" && return
  done
}

show_devices() {
  for device in /sys/bus/pci/devices/*; do
    driver=-
    [ -e "$device/driver" ] && driver=$(basename "$(readlink "$device/driver")")
    id=$(cat "$device/vendor"):$(cat "$device/device")
    class=$(cat "$device/class")
    echo "GUEST-PCI ${device##*/} $(echo "$id" | sed 's/0x//g') class=${class#0x} driver=$driver"
  done
}

carriers() { # say whether every card has one
  for card in /sys/class/net/*; do
    [ -e "$card/device" ] || continue
    [ "$(cat "$card/carrier" 2>/dev/null)" = 1 ] || return 1
  done
}

show_interfaces() {
  ifconfig lo up
  for card in /sys/class/net/*; do
    [ -e "$card/device" ] && ifconfig "${card##*/}" up
  done
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    carriers && break
    sleep 0.5
  done
  for card in /sys/class/net/*; do
    [ -e "$card/device" ] || continue
    driver=$(basename "$(readlink -f "$card/device/driver")")
    address=$(basename "$(readlink -f "$card/device")")
    [ "$driver" = virtio_net ] && address=$(basename "$(readlink -f "$card/device/..")")
    echo "GUEST-NET ${card##*/} mac=$(cat "$card/address") driver=$driver pci=$address" \
      "carrier=$(cat "$card/carrier" 2>/dev/null)"
  done
}

welcome() { # load drivers for what was plugged in since, and name its cards
  now=$(ls /sys/bus/pci/devices)
  [ "$now" = "$known" ] && return
  load_drivers
  sleep 1
  for address in $now; do
    case $known in *"$address"*) continue ;; esac
    for card in "/sys/bus/pci/devices/$address"/net/*; do
      [ -e "$card/address" ] && echo "GUEST-PLUGGED mac=$(cat "$card/address") pci=$address"
    done
  done
  known=$now
}

mac_of_link() { # LINK-ID
  number=$(awk -F'\t' -v id="$1" '$1 ~ /^links\.[0-9]+\.id$/ && $2 == id {
    split($1, part, "."); print part[2]; exit }' /network)
  value /network "links.$number.ethernet_mac_address" | tr A-F a-f
}

set_addresses() {
  for number in $(sed -n 's/^networks\.\([0-9]*\)\.ip_address\t.*/\1/p' /network); do
    address=$(value /network "networks.$number.ip_address")
    netmask=$(value /network "networks.$number.netmask")
    mac=$(mac_of_link "$(value /network "networks.$number.link")")
    card=$(interface_of "$mac")
    case $address in *:*) continue ;; esac # IPv6 is not tried here
    if [ -z "$card" ]; then
      echo "GUEST-WARN no interface has mac=$mac for $address"
    elif ifconfig "$card" "$address" netmask "$netmask"; then
      echo "GUEST-ADDRESS $card $address netmask=$netmask mac=$mac"
    fi
  done
}

ping_until() { # ADDRESS SECONDS
  end=$(($(uptime | cut -d. -f1) + $2))
  while :; do
    ping -c 1 -W 2 "$1" >/dev/null 2>&1 && echo "GUEST-PING $1 ok" && return
    [ "$(uptime | cut -d. -f1)" -ge "$end" ] && echo "GUEST-PING $1 FAIL" && return
    sleep 2
  done
}

echo "GUEST-INIT $(uptime)"
known=$(ls /sys/bus/pci/devices)
load_drivers
: >/meta
: >/network
if find_config; then
  flat /config/openstack/latest/meta_data.json >/meta
  flat /config/openstack/latest/network_data.json >/network
  hostname "$(value /meta hostname)" 2>/dev/null
  echo "GUEST-SERVER $(value /meta uuid)"
else
  echo "GUEST-WARN no config drive"
fi
show_devices
show_interfaces
set_addresses
wait_s=$(value /meta meta.ping_wait)
for entry in $(value /meta meta.ping | tr , ' '); do
  case $entry in
    */*) ping_until "${entry%/*}" "${entry#*/}" & ;;
    *) ping_until "$entry" "${wait_s:-40}" & ;;
  esac
done
wait
echo "GUEST-READY $(uptime)"
while :; do
  welcome
  sleep 5
done
