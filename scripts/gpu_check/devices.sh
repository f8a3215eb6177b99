# Stage devices: what is there, the driver, the GPU and the libraries.

stage_devices() {
  local verdict devices lines
  run 60 devices "$bin/convoy" devices
  devices=$(lines_of "$last_log")
  if grep "^$device" "$last_log" | grep -qv "^$device *none"; then
    verdict="good: $(grep "^$device" "$last_log" | head -n 1 | tr -s ' ')"
  else
    verdict="bad: there is no $device here; $(grep "^$device" "$last_log" | head -n 1 | tr -s ' ')"
  fi
  run 60 doctor "$bin/convoy" doctor
  lines=$(lines_of "$last_log")
  run 30 nvidia-smi nvidia-smi
  write_stage devices "$verdict" "\"devices\":$devices,\"doctor\":$lines,\"nvidia_smi\":$(lines_of "$last_log")"
}
